"""Both drivers over real sockets, against a deployment that misbehaves on demand."""
