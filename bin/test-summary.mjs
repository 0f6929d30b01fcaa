/** A reporter for node's test runner that counts, and keeps the names of what failed and of what was skipped, as JSON. */
import path from 'node:path';

export default async function* summary(source) {
  const result = { passed: 0, failed: [], skipped: [] };
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // A suite and a file are counted through their tests, unless they fail by themselves (a hook, a crash).
    const isGroup = data.details?.type === 'suite' || data.name === data.file || data.details?.error?.failureType === 'subtestsFailed';
    const name = `${data.name}${typeof data.skip === 'string' && data.skip !== '' ? ` (${data.skip})` : ''}`;
    if (data.skip !== undefined && data.skip !== false) result.skipped.push(name);
    else if (type === 'test:fail' && data.details?.error?.failureType === 'subtestsFailed') continue;
    else if (type === 'test:fail') result.failed.push(`${name}${data.file ? ` [${relative(data.file)}]` : ''}`);
    else if (!isGroup) result.passed += 1;
  }
  yield JSON.stringify(result);
}

function relative(file) {
  return path.relative(process.cwd(), file).replace(/^dist[\\/]/, '');
}
