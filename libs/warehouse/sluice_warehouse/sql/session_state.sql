-- One statement without rows, run once for each session before anything else, so that no text, order or number of an
-- answer depends on where the client runs or how the server is set up. Errors come in English, since the name of a
-- column that is not there is read from them.
alter session set
    NLS_LANGUAGE = 'AMERICAN'
    NLS_TERRITORY = 'AMERICA'
    NLS_SORT = 'BINARY'
    NLS_COMP = 'BINARY'
    NLS_NUMERIC_CHARACTERS = '.,'
    NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS'
    NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF'
    TIME_ZONE = '+00:00'
