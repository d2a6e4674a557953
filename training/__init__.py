"""Make the built-in model: network, data, losses, training, export and evaluation."""
