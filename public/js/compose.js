// The composer: counters and problems as the server counts them, the fields that go with "when", Ctrl+Enter.

const form = document.getElementById('compose');
const WAIT_MS = 250;
let timer;
let sequence = 0;
let controller = null;

function isLater() {
  return form.elements.when.value !== 'now';
}

/** Fields of a network's own are there while its channel is chosen. */
function showOptions() {
  for (const group of form.querySelectorAll('[data-options-for]')) group.hidden = !document.getElementById(`channel-${group.dataset.optionsFor}`)?.checked;
  const none = form.querySelector('[data-nothing-chosen]');
  if (none) none.hidden = form.querySelector('[name="platforms"]:checked') !== null;
}

function showWhen() {
  document.getElementById('when-fields').hidden = !isLater();
  const send = document.getElementById('send');
  if (form.getAttribute('action') === '/posts') send.textContent = isLater() ? 'Schedule' : 'Publish now';
}

/** What was counted is no longer what stands in the field: say so until the answer is there. */
function markStale() {
  form.dataset.counting = 'yes';
}

function askSoon() {
  markStale();
  clearTimeout(timer);
  timer = setTimeout(() => void ask(), WAIT_MS);
}

async function ask() {
  const mine = ++sequence;
  controller?.abort();
  controller = new AbortController();
  try {
    const answer = await fetch(form.dataset.previewUrl, {
      method: 'POST',
      body: new URLSearchParams(new FormData(form)),
      headers: { accept: 'application/json' },
      signal: controller.signal,
    });
    if (mine !== sequence) return;
    if (!answer.ok) throw new Error(`preview answered ${answer.status}`);
    const preview = await answer.json();
    if (mine === sequence) show(preview);
  } catch (error) {
    // Offline or signed out: the server checks again when the form is sent. Overtaken by the next question: that one will answer.
    if (error.name !== 'AbortError') form.dataset.counting = 'failed';
  }
}

function show({ counters, problems, time }) {
  form.dataset.counting = 'no';
  for (const element of form.querySelectorAll('[data-counter]')) {
    const counter = counters.find(({ platform }) => platform === element.dataset.counter);
    element.hidden = counter === undefined;
    if (counter === undefined) continue;
    element.textContent = `${counter.length} / ${counter.max}${counter.over > 0 ? `, ${counter.over} too many` : ''}`;
    element.classList.toggle('counter-over', counter.over > 0);
  }
  for (const list of form.querySelectorAll('[data-problems-for]')) {
    const said = list.parentElement.querySelector('.invalid-feedback')?.textContent ?? '';
    const messages = problems.filter(({ field, message }) => field === list.dataset.problemsFor && !said.includes(message)).map(({ message }) => message);
    if (messages.join('\n') === [...list.children].map((item) => item.textContent).join('\n')) continue;
    list.replaceChildren(...messages.map((message) => Object.assign(document.createElement('li'), { textContent: message })));
  }
  if (problems.some(({ field }) => field === 'mediaUrls')) document.getElementById('media').open = true;
  showTime(time);
}

function showTime(time) {
  const note = form.querySelector('[data-time-note]');
  const occurrence = document.getElementById('occurrence');
  const text = document.getElementById('schedule-problem') ? '' : noteFor(time);
  if (note.textContent !== text) note.textContent = text;
  note.classList.toggle('text-warning-emphasis', time !== null && (time.kind !== 'exact' || time.isPast));
  occurrence.hidden = time?.kind !== 'overlap';
  if (time?.kind !== 'overlap') return;
  for (const offset of occurrence.querySelectorAll('[data-offset]')) offset.textContent = time[offset.dataset.offset];
}

function noteFor(time) {
  if (time === null) return '';
  if (time.kind !== 'exact') return time.message;
  const utc = `${time.utc.slice(0, 16).replace('T', ' ')} UTC`;
  return time.isPast ? `This time is past (${utc}): the post goes out at once.` : `That is ${utc}.`;
}

/** What the server said about a field is about what stood there: it goes as soon as that changes. */
function forgetProblem(field) {
  field.classList.remove('is-invalid');
  field.removeAttribute('aria-invalid');
  const ids = (field.getAttribute('aria-describedby') ?? field.closest('fieldset')?.getAttribute('aria-describedby') ?? '').split(' ');
  for (const id of ids.filter((id) => id.endsWith('-problem'))) document.getElementById(id)?.remove();
}

/** Labels, ids and the places of problems follow the order in which the items stand. */
function numberItems() {
  form.querySelectorAll('[data-thread-item]').forEach((item, index) => {
    const [text, media] = item.querySelectorAll('textarea');
    const [textProblems, mediaProblems] = item.querySelectorAll('[data-problems-for]');
    item.querySelector('[data-item="label"]').textContent = `Item ${index + 2}`;
    item.querySelector('[data-item="media-label"]').textContent = `Media of item ${index + 2}`;
    item.querySelector('[data-item="remove"]').textContent = ` item ${index + 2}`;
    item.querySelector('[data-remove-item]').hidden = false;
    item.querySelector('[data-item="label"]').htmlFor = text.id = `thread-${index}`;
    item.querySelector('[data-item="media-label"]').htmlFor = media.id = `thread-${index}-media`;
    for (const [field, list, name] of [[text, textProblems, 'post'], [media, mediaProblems, 'mediaUrls']]) {
      list.id = `${field.id}-live`;
      list.dataset.problemsFor = `thread[${index}].${name}`;
      const said = field.parentElement.querySelector(`.invalid-feedback[data-about="${name}"]`) ?? null;
      if (said) said.id = `${field.id}-problem`;
      field.setAttribute('aria-describedby', said ? `${said.id} ${list.id}` : list.id);
    }
  });
}

function addItem(event) {
  event.preventDefault();
  const list = document.getElementById('thread-items');
  list.append(document.getElementById('thread-item-template').content.cloneNode(true));
  numberItems();
  list.lastElementChild.querySelector('textarea').focus();
}

/** The focus goes to what stands where the item was. */
function removeItem(item) {
  const next = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector('textarea') ?? document.getElementById('add-item');
  item.remove();
  numberItems();
  next.focus();
  askSoon();
}

/** The problems that the server found are read first, and lead back to the form. */
function focusProblems() {
  document.getElementById('form-problems')?.focus();
}

if (form) {
  form.addEventListener('input', (event) => {
    forgetProblem(event.target);
    askSoon();
  });
  form.addEventListener('change', () => {
    showWhen();
    showOptions();
    askSoon();
  });
  document.getElementById('add-item').addEventListener('click', addItem);
  form.addEventListener('click', (event) => {
    const remove = event.target.closest('[data-remove-item]');
    if (remove) removeItem(remove.closest('[data-thread-item]'));
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit(document.getElementById('send'));
  });
  window.addEventListener('pageshow', () => {
    showWhen();
    showOptions();
    void ask();
  });
  showWhen();
  showOptions();
  numberItems();
  focusProblems();
}
