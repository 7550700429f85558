# SPDX-License-Identifier: MIT
"""What is wrong with a pair, in the words of the person who must put it right at night. All pure.

Every complaint says what is wrong, what it means and what to do. The pair is protected if and only
if there is none: so each condition of "either machine may fail now" has its complaint here. What
takes nothing from that is a note, which is made the same way and counted apart.
"""
