//! Owns the examples and the traps of the parent module; never needs more than its public face.
