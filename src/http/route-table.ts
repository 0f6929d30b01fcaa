/** Which methods a path has, read from the mounted routers: the difference between 404 and 405, and the answer to OPTIONS. */
import type { RequestHandler, Response, Router } from 'express';
import { AppError, ErrorCode } from '../lib/app-error.js';

/** The part of an Express layer that this file reads; `match` remembers what it matched in `path`. */
interface Layer {
  match(path: string): boolean;
  path: string | undefined;
  slash: boolean;
  handle: unknown;
  route?: { methods: Record<string, boolean> };
}

/** @returns upper-case methods, GET implies HEAD; empty when no route has this path */
export function methodsOf(routers: readonly Router[], path: string): Set<string> {
  const methods = new Set<string>();
  for (const router of routers) collect(router, path, methods);
  if (methods.has('GET')) methods.add('HEAD');
  return methods;
}

function collect(router: unknown, path: string, methods: Set<string>): void {
  for (const layer of stackOf(router)) {
    if (layer.route !== undefined) {
      if (!layer.match(path)) continue;
      for (const [method, has] of Object.entries(layer.route.methods)) if (has && method !== '_all') methods.add(method.toUpperCase());
    } else if (stackOf(layer.handle).length > 0) {
      if (layer.slash) collect(layer.handle, path, methods);
      else if (layer.match(path)) collect(layer.handle, path.slice(layer.path?.length ?? 0) || '/', methods);
    }
  }
}

function stackOf(handle: unknown): Layer[] {
  const stack = (handle as { stack?: unknown } | null)?.stack;
  return Array.isArray(stack) ? (stack as Layer[]) : [];
}

const KEPT_PATHS = 200;

/** Answers unknown paths (404), other methods (405 with `Allow`) and OPTIONS (204); lets the rest pass. */
export function knownRoutesOnly(routers: readonly Router[], notFoundMessage: string): RequestHandler {
  // The routes never change once mounted, and busy programs call the same few paths.
  const known = new Map<string, Set<string>>();
  const methodsAt = (path: string): Set<string> => {
    const methods = known.get(path) ?? methodsOf(routers, path);
    if (known.size >= KEPT_PATHS) known.clear();
    known.set(path, methods);
    return methods;
  };
  return (req, res, next) => {
    const methods = methodsAt(req.path);
    if (methods.size === 0) return next(new AppError('not-found', ErrorCode.notFound, notFoundMessage));
    if (req.method === 'OPTIONS') return void allow(res, methods).status(204).end();
    if (methods.has(req.method)) return next();
    const message = `${req.method} is not possible here; use ${[...methods].filter((m) => m !== 'HEAD').join(' or ')}.`;
    allow(res, methods);
    next(new AppError('unsupported', ErrorCode.methodNotAllowed, message));
  };
}

function allow(res: Response, methods: Set<string>): Response {
  return res.set('Allow', [...methods, 'OPTIONS'].sort().join(', '));
}
