"""FiftyOne's own similarity backends behind our protocol, by their own code, to be measured."""
