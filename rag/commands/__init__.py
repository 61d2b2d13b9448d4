"""The commands of `attest`, one file a family. Each adds its parser and runs; whatever is slow to
import is imported when a command needs it, so that `attest --help` answers at once."""
