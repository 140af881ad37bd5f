# Bad rows stand in insertErrors, in an answer of 200. A 403 may be a limit and not a right that is missing.
def passing: . as $reason
  | ["stopped", "backendError", "internalError", "rateLimitExceeded", "quotaExceeded", "timeout", "tableUnavailable"]
  | index($reason) != null;
if type != "object" then empty
elif $status == 403 and any(.error.errors[]?; .reason | passing)
then {retry: true, reason: .error.errors[0].reason, detail: .error.message}
else
  .insertErrors[]?
  | ([.errors[]? | select(.reason | passing | not)][0] // .errors[0]?) as $why
  | {index, retry: ($why == null or ($why.reason | passing)), reason: $why.reason,
     detail: ([$why.location, $why.message] | map(select(. != null and . != "")) | join(": "))}
end
