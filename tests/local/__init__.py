"""Test the local deployment as a process: when killed, on a full disk, and with many clients."""
