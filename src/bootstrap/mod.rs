//! How a starting member finds its cluster.
