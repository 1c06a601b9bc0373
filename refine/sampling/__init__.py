"""Sampling of states: learned free energies of a few variables, and biases that steer molecular dynamics."""
