"""The real core of a master and its workers, in a world whose clock, network, processes and API are made up."""
