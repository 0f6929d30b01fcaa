/** Preloaded into programs that tests start: they end when the test's process is gone, whatever became of it. */
process.on('disconnect', () => process.exit(1));
// Listening alone would keep the program running.
process.channel?.unref();
