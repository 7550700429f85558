# SPDX-License-Identifier: MIT
"""Files and folders of other computers on the network, for as long as one command uses them."""
