"""RTP: how access units, audio frames and documents become packets."""
