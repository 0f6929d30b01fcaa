/** How long one turn of a command may hold the server: loops within a single expression ask here, since nothing else can stop them. */
import { CommandError } from './command-error.js';

const TURN_MS = 2000;
const SLICE_MS = 10;
let sliceUntil = 0;
let until = Infinity;
let steps = 0;
let over = false;

/** To be called before a command gets its turn; `deadline` is where its `maxTimeMS` ends. */
export function beginTurn(deadline = Infinity): void {
  const now = performance.now();
  until = Math.min(deadline, now + TURN_MS);
  sliceUntil = now + SLICE_MS;
}

/** When the present turn should end (performance.now()), so that others get theirs. */
export function sliceEnd(): number {
  return sliceUntil;
}

/** Whether to let others have their turn: to be asked after each document. */
export function sliceIsOver(): boolean {
  return over || performance.now() > sliceUntil;
}

/** To be called in every pass of a loop whose length a client decides. @throws CommandError 50 */
export function countStep(): void {
  if ((++steps & 1023) === 0 && performance.now() > until) throw new CommandError(50, 'operation exceeded time limit');
}

/** Something took long: whoever goes through many documents should not wait for its next look at the clock. */
export function endTurn(): void {
  over = true;
}

/** Whether `endTurn` was called since the last time. */
export function turnHasEnded(): boolean {
  const was = over;
  over = false;
  return was;
}
