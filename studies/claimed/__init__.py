"""What `examples/claims.py` is made of: `studies` are run, `findings` made of them, and `pages` written."""
