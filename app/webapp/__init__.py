"""Pages of the web app. They hold no science: what they show comes from ``refine`` and from run folders."""
