"""Reports of steps and runs, as text, mail and progress; it reports and never acts."""
