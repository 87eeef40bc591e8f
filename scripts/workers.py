"""Print how many test processes to start: one a core, as far as 5 GB each go; at most 4."""

import os

GIGABYTES_EACH = 5
memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
print(max(1, min(os.cpu_count() or 1, int(memory // GIGABYTES_EACH), 4)))
