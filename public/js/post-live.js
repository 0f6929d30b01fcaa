// A post's page while the post is on its way: keeps what the reader opened, and says when the connection is gone.

/** Updates come as whole fragments; what the reader has opened stays open. */
window.htmx?.registerExtension('keep-open', {
  htmx_before_morph_attr: (element, detail) => !(detail.attrName === 'open' && element.tagName === 'DETAILS'),
});

const note = document.getElementById('live-note');

function say(isConnected) {
  if (!note) return;
  note.dataset.live = isConnected ? 'on' : 'off';
  note.querySelector('[data-live-text]').textContent = isConnected
    ? 'This page updates by itself.'
    : 'The connection is interrupted; trying again. Reload the page to see the latest state.';
}

document.addEventListener('htmx:sse:after:connection', () => say(true));
document.addEventListener('htmx:sse:error', () => say(false));
document.addEventListener('htmx:sse:close', (event) => {
  if (event.detail.reason === 'message') note?.remove();
});
