"""The only room that touches client and upstream sockets."""
