"""Both performers over real sockets, against a deployment that injects faults."""
