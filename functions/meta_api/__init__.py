"""What an owner and their agents see and change of their number at Meta."""
