"""What is shown while it happens: which events a socket is sent, and which rows the live page."""
