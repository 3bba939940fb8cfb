"""What ``install`` puts into the files of each client, and how ``uninstall`` takes it out again."""
