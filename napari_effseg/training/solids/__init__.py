"""Training of networks that find an object of a volume from some of its slices."""
