"""What CI does, a session each: ``nox -s lint types tests docs``."""

import nox

nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def _install(session: nox.Session, extras: str) -> None:
    session.install("-c", "constraints.txt", "-e", f".[{extras}]")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, and the import contracts between rooms."""
    _install(session, "dev")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    _install(session, "dev")
    session.run("mypy")
    session.run("mypy", "-p", "EffSegLib", env={"MYPYPATH": "slicer_extension/EffSeg"})


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests, the slow ones too, on each Python that is installed."""
    _install(session, "dev")
    session.run("pytest", "--slow", "--cov", "--cov-report=term:skip-covered", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site; a broken link or reference fails."""
    _install(session, "docs")
    session.run("python", "docs/_generate_cards.py")
    session.run("mkdocs", "build", "--strict")
