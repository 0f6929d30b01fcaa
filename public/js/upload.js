// The composer's files: sent as soon as they are chosen, one after the other; each becomes an address in the field below. Without this script
// they are sent with the form.

const input = document.getElementById('media-files');
const addresses = document.getElementById('media-urls');
const progress = document.getElementById('media-upload-progress');
const problems = document.getElementById('media-upload-problems');
const previews = document.getElementById('media-previews');
const form = input?.form;
const waiting = [];
let current = null;
let sendsAfter = null;

const OWN = /^https?:\/\/\S+?(\/media\/[0-9a-f]{40}\.([a-z0-9]{3,4}))$/;
const IMAGES = new Set(['jpg', 'png', 'gif', 'webp', 'avif']);

function lines() {
  return addresses.value.split('\n').map((line) => line.trim()).filter((line) => line !== '');
}

function setLines(urls) {
  addresses.value = urls.join('\n');
  addresses.dispatchEvent(new Event('input', { bubbles: true }));
}

function choose() {
  const chosen = [...input.files];
  // Sent here, so not once more with the form.
  input.value = '';
  input.classList.remove('is-invalid');
  problems.replaceChildren();
  waiting.push(...chosen);
  void sendAll();
}

async function sendAll() {
  if (current !== null) return;
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    current = file;
    show(file, 0);
    const answer = await send(file);
    if (answer.files.length > 0) setLines([...lines(), ...answer.files.map(({ url }) => url)]);
    for (const message of answer.problems) problems.append(Object.assign(document.createElement('li'), { textContent: message }));
    if (answer.problems.length > 0) input.classList.add('is-invalid');
  }
  current = null;
  progress.hidden = true;
  if (sendsAfter === null) return;
  const submitter = sendsAfter;
  sendsAfter = null;
  // What could not be uploaded is for the writer to decide about.
  if (problems.childElementCount === 0) form.requestSubmit(submitter);
  else input.focus();
}

/** By XMLHttpRequest, which alone says how far it is. */
function send(file) {
  return new Promise((resolve) => {
    const failed = (why) => resolve({ files: [], problems: [`${file.name}: ${why}`] });
    const request = new XMLHttpRequest();
    request.open('POST', input.dataset.uploadUrl);
    request.setRequestHeader('accept', 'application/json');
    request.setRequestHeader('x-csrf-token', document.querySelector('meta[name="csrf-token"]')?.content ?? '');
    request.upload.addEventListener('progress', (event) => event.lengthComputable && show(file, (event.loaded / event.total) * 100));
    request.addEventListener('error', () => failed('the connection broke off. Choose it again.'));
    request.addEventListener('load', () => {
      try {
        resolve(JSON.parse(request.responseText));
      } catch {
        failed(request.status === 401 ? 'you are signed out. Sign in in another tab, then choose it again.' : 'it was not taken. Choose it again.');
      }
    });
    const body = new FormData();
    body.append('files', file);
    request.send(body);
  });
}

function show(file, percent) {
  progress.hidden = false;
  const text = `Uploading ${file.name}${waiting.length > 0 ? `, ${waiting.length} more to come` : ''} …`;
  const place = progress.querySelector('[data-upload-text]');
  if (place.textContent !== text) place.textContent = text;
  progress.querySelector('progress').value = percent;
}

/** The uploads among the addresses, with a picture where there is one. */
function showPreviews() {
  const own = lines().flatMap((url) => {
    const match = OWN.exec(url);
    return match === null ? [] : [{ url, path: match[1], extension: match[2] }];
  });
  const shown = [...previews.children].map((item) => item.dataset.url).join('\n');
  if (own.map(({ url }) => url).join('\n') === shown) return;
  previews.replaceChildren(...own.map(({ url, path, extension }, i) => {
    const item = document.createElement('li');
    item.dataset.url = url;
    if (IMAGES.has(extension)) item.append(Object.assign(document.createElement('img'), { src: path, alt: '' }));
    else item.append(Object.assign(document.createElement('span'), { className: 'upload-kind', textContent: extension.toUpperCase() }));
    const remove = Object.assign(document.createElement('button'), { type: 'button', className: 'btn btn-sm btn-outline-secondary', textContent: `Take out file ${i + 1}` });
    remove.addEventListener('click', () => {
      setLines(lines().filter((line) => line !== url));
      input.focus();
    });
    item.append(remove);
    return item;
  }));
}

if (form) {
  input.addEventListener('change', (event) => {
    event.stopPropagation();
    choose();
  });
  addresses.addEventListener('input', showPreviews);
  // Before the script that lets a form be sent once.
  form.addEventListener('submit', (event) => {
    if (current === null) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    sendsAfter = event.submitter;
    progress.querySelector('[data-upload-text]').textContent = 'The post is sent as soon as its files are uploaded …';
  }, true);
  window.addEventListener('pageshow', showPreviews);
  showPreviews();
}
