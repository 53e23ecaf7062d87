"""How the functions become what a cloud runs: built, rehearsed, and deployed one by one."""
