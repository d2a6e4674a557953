"""Reports of steps and runs, as text, mail and progress. This room reports and never acts."""
