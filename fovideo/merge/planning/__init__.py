"""What is inserted, in what order of decoding, and as which stretches. Pure."""
