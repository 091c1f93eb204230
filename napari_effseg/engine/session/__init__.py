"""Click sessions: prompts in, the mask of one object after the other out."""
