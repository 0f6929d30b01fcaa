// Sets the theme before the first paint; a blocking script of its own because inline scripts are refused.
(() => {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const read = () => {
    try {
      return localStorage.getItem('signpost-theme') ?? 'auto';
    } catch {
      return 'auto';
    }
  };
  const apply = () => {
    const choice = read();
    const isDark = choice === 'dark' || (choice !== 'light' && system.matches);
    document.documentElement.dataset.bsTheme = isDark ? 'dark' : 'light';
  };
  apply();
  system.addEventListener('change', apply);
  window.addEventListener('storage', apply);
  window.signpostTheme = {
    read,
    choose(choice) {
      try {
        localStorage.setItem('signpost-theme', choice);
      } catch {
        // Private windows may forbid storage: the choice then lasts for this page.
      }
      apply();
    },
  };
})();
