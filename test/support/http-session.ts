/** The demonstration's scripted browser, for tests too. */
export { formIn, httpSession, type HttpSession, type Page } from '../../src/cli/http-session.js';
