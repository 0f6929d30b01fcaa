/** A parent for the test that kills one: starts a server and tells where it is. */
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';

const server = await startEmbeddedMongodb({ dataDir: process.argv[2]! });
process.send!({ pid: server.pid, uri: server.uri });
