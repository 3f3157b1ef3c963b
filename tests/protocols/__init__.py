"""Every protocol against thousands of odd inputs, on real sockets."""
