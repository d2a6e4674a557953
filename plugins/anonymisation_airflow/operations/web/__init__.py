"""The web application around the pages: access, headers, rendering, and the deployment that it shows."""
