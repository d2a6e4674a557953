"""The built-in model and the models of the zoo: finds, downloads, unpacks and loads them."""
