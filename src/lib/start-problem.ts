/** A reason not to start that the operator can mend: shown as plain words, without a stack trace. */

const CODE = 'CANNOT_START';

/** @param message what is wrong and what to do */
export function startProblem(message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code: CODE });
}

/** The embedded database knows nothing of Signpost and has a code of its own. */
export function isStartProblem(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === CODE || error.code === 'DATA_DIR_IN_USE');
}
