"""The local deployment as its users run it: as a process that is killed, on a full disk, with many clients at once."""
