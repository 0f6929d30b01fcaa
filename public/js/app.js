// What every page shares: theme switch, copy buttons, confirmation, one submit per form, time zone detection, htmx set-up.

const announce = (text) => {
  const box = document.getElementById('announcer');
  if (box) box.textContent = text;
};

function setUpTheme() {
  const select = document.getElementById('theme');
  if (!select || !window.signpostTheme) return;
  select.value = window.signpostTheme.read();
  select.addEventListener('change', () => window.signpostTheme.choose(select.value));
  select.closest('[hidden]')?.removeAttribute('hidden');
}

/** `<select data-detect-time-zone>` starts at the browser's zone. */
function detectTimeZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) return;
  for (const select of document.querySelectorAll('select[data-detect-time-zone]')) {
    if (![...select.options].some((option) => option.value === zone)) select.add(new Option(zone, zone));
    select.value = zone;
  }
}

/** `<button data-copy="#id">` copies that element's text or value; `data-copy-text="..."` copies the text itself. */
async function copy(button) {
  const source = button.dataset.copy ? document.querySelector(button.dataset.copy) : null;
  const text = button.dataset.copyText ?? source?.value ?? source?.textContent ?? '';
  try {
    await navigator.clipboard.writeText(text.trim());
  } catch {
    if (!copyTheOldWay(text.trim())) return announce('Copying is not possible here; select the text and copy it yourself.');
  }
  announce('Copied');
  const label = button.querySelector('span') ?? button;
  label.dataset.was ??= label.textContent;
  label.textContent = 'Copied';
  setTimeout(() => {
    label.textContent = label.dataset.was;
  }, 2000);
}

/** Over plain http on another machine browsers offer no clipboard object. */
function copyTheOldWay(text) {
  const box = document.createElement('textarea');
  box.value = text;
  box.className = 'visually-hidden';
  document.body.append(box);
  box.select();
  const done = document.execCommand('copy');
  box.remove();
  return done;
}

function revealButtons(root = document) {
  for (const button of root.querySelectorAll('[data-copy][hidden], [data-copy-text][hidden]')) button.hidden = false;
}

/** `<form data-confirm="Question?" data-confirm-action="Delete">` asks first. */
function askFirst(event) {
  const form = event.target;
  const question = form.dataset?.confirm;
  const dialog = document.getElementById('confirm');
  if (!question || !dialog?.showModal) return;
  if (form.dataset.confirmed === 'yes') {
    delete form.dataset.confirmed;
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  const submitter = event.submitter;
  document.getElementById('confirm-text').textContent = question;
  document.getElementById('confirm-yes').textContent = form.dataset.confirmAction ?? 'Yes';
  dialog.returnValue = 'no';
  dialog.addEventListener('close', () => {
    if (dialog.returnValue !== 'yes') return submitter?.focus();
    form.dataset.confirmed = 'yes';
    form.requestSubmit(submitter ?? undefined);
  }, { once: true });
  dialog.showModal();
}

/** A second click while the first is on its way must not send the form twice. */
function sendOnce(event) {
  const form = event.target;
  if (event.defaultPrevented || form.method !== 'post') return;
  if (form.dataset.sending) return event.preventDefault();
  form.dataset.sending = 'yes';
  event.submitter?.classList.add('is-busy');
  setTimeout(() => release(form), 8000);
}

function release(form) {
  delete form.dataset.sending;
  for (const button of form.querySelectorAll('.is-busy')) button.classList.remove('is-busy');
}

/** After signing in again in another tab this page's token is an old one: fetch the new one, so that nothing typed is lost. */
async function refreshToken() {
  if (!document.querySelector('[data-session-ended]')) return;
  const answer = await fetch('/session', { redirect: 'manual' });
  if (!answer.ok) return; // still signed out
  const { csrfToken } = await answer.json();
  const meta = document.querySelector('meta[name="csrf-token"]');
  if (meta) meta.content = csrfToken;
  for (const field of document.querySelectorAll('input[name="_csrf"]')) field.value = csrfToken;
  for (const notice of document.querySelectorAll('[data-session-ended]')) notice.remove();
  announce('You are signed in again.');
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('[data-copy], [data-copy-text]');
  if (button) void copy(button);
});
document.addEventListener('submit', askFirst, true);
document.addEventListener('submit', sendOnce);
window.addEventListener('pageshow', () => document.querySelectorAll('form[data-sending]').forEach(release));
window.addEventListener('focus', () => void refreshToken());
document.addEventListener('htmx:config:request', (event) => {
  const token = document.querySelector('meta[name="csrf-token"]')?.content;
  if (token) event.detail.ctx.request.headers['x-csrf-token'] = token;
});
document.addEventListener('htmx:after:swap', () => revealButtons());

const replace = document.querySelector('[data-replace-url]');
if (replace) history.replaceState(null, '', replace.dataset.replaceUrl);
document.querySelector('main .is-invalid')?.focus();
setUpTheme();
detectTimeZone();
revealButtons();
