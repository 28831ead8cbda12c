"""What people keep of the web page: views under a name, and short links."""
