"""The rights of root, left behind in a child: files that may not be read or written are that for it, too."""

import ctypes
import os

PR_CAPBSET_DROP = 24
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2


def leave_rights() -> None:
    """Have the program that this process becomes obey the modes of files; for `preexec_fn`."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "the right could not be left")
