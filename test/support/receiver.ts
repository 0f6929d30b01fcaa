/** The demonstration's receiver, for tests too. */
export { startReceiver, type Answer, type Received, type Receiver } from '../../src/cli/receiver.js';
