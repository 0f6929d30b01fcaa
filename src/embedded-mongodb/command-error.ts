/** The one error of this server: MongoDB's numeric code, its code name, and what goes into the reply beside them. */

const CODE_NAMES: Record<number, string> = {
  1: 'InternalError', 2: 'BadValue', 8: 'UnknownError', 9: 'FailedToParse', 11: 'UserNotFound', 13: 'Unauthorized', 14: 'TypeMismatch',
  15: 'Overflow', 16: 'InvalidLength', 17: 'ProtocolError', 18: 'AuthenticationFailed', 20: 'IllegalOperation', 22: 'InvalidBSON', 26: 'NamespaceNotFound',
  27: 'IndexNotFound', 28: 'PathNotViable', 40: 'ConflictingUpdateOperators', 43: 'CursorNotFound', 48: 'NamespaceExists',
  50: 'MaxTimeMSExpired', 51: 'DollarPrefixedFieldName', 52: 'DollarPrefixedFieldName', 53: 'InvalidIdField', 54: 'NotSingleValueField',
  55: 'InvalidDBRef', 56: 'EmptyFieldName', 57: 'DottedFieldName', 59: 'CommandNotFound', 66: 'ImmutableField', 67: 'CannotCreateIndex',
  68: 'IndexAlreadyExists', 72: 'InvalidOptions', 73: 'InvalidNamespace', 76: 'NoReplicationEnabled', 79: 'UnknownReplWriteConcern', 85: 'IndexOptionsConflict',
  86: 'IndexKeySpecsConflict', 91: 'ShutdownInProgress', 96: 'OperationFailed', 100: 'UnsatisfiableWriteConcern', 115: 'CommandNotSupported', 121: 'DocumentValidationFailure',
  125: 'CommandFailed', 146: 'ExceededMemoryLimit', 165: 'ViewDepthLimitExceeded', 168: 'InvalidPipelineOperator', 175: 'QueryPlanKilled', 184: 'ClientMetadataDocumentTooLarge', 171: 'CannotIndexParallelArrays', 172: 'CannotConvertIndexToUnique',
  197: 'InvalidIndexSpecificationOption', 211: 'KeyNotFound', 238: 'NotImplemented', 241: 'ConversionFailure', 263: 'OperationNotSupportedInTransaction',
  276: 'IndexBuildAborted', 291: 'NoQueryExecutionPlans', 292: 'QueryExceededMemoryLimitNoDiskUseAllowed', 303: 'APIMismatchError', 322: 'APIVersionError', 323: 'APIStrictError',
  352: 'UnsupportedOpQueryCommand', 10334: 'BSONObjectTooLarge', 11000: 'DuplicateKey', 11601: 'Interrupted', 14031: 'OutOfDiskSpace', 17280: 'Location17280', 17419: 'Location17419',
};

/** Thrown anywhere while a command runs; becomes `{ok: 0, errmsg, code, codeName}` or one entry of `writeErrors`. */
export class CommandError extends Error {
  readonly code: number;
  readonly extra: Record<string, unknown>;
  constructor(code: number, message: string, extra: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.extra = extra;
  }
  get codeName(): string {
    return CODE_NAMES[this.code] ?? `Location${this.code}`;
  }
}

export function badValue(message: string): CommandError {
  return new CommandError(2, message);
}

export function failedToParse(message: string): CommandError {
  return new CommandError(9, message);
}

export function typeMismatch(message: string): CommandError {
  return new CommandError(14, message);
}
