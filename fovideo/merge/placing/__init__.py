"""Where the source's footage lies on the target's clock, and which of its frames the target holds. Pure."""
