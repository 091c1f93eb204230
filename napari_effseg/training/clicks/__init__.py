"""Training of promptable networks: objects of many images, clicks that correct the last answer."""
