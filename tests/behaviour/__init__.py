"""The client's behaviour over real sockets, one suite for both drivers."""
