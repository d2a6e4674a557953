"""How the built-in model is made: network, data, losses, training, export and its figures."""
