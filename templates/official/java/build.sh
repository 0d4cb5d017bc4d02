# The steps of the Dockerfile that are more than a line: sh build.sh STEP
set -e
fast='-XX:+UseSerialGC -XX:TieredStopAtLevel=1'

mvn_() { mvn --batch-mode --no-transfer-progress "$@"; }

# The function's class path, in the order of the pom.
path() {
    printf %s /home/app/server.jar
    sed -n 's#^runtime=#:/home/app/lib/#p' /packages/plan | tr -d '\n'
}

case "$1" in
tools) # the server, and the programs of this build, which need nothing of a handler
    cd /src
    case "$(javac -version 2>&1)" in
    'javac 1.'* | 'javac 8'* | 'javac 9'* | 'javac 1'[0-9]* | 'javac 20'*)
        echo 'the template java needs Java 21 or later; code for an older one runs on it: set maven.compiler.release, and leave the build arg JAVA_VERSION out' >&2
        exit 1
        ;;
    esac
    java $fast build/fnb/build/Build.java tools /src /fnb "${MAVEN_HOME:-/usr/share/maven}"
    # With an archive of the compiler's own classes a changed line is built in half the time.
    mkdir -p /tmp/f/src/main/java /tmp/p
    printf 'public class H implements fnb.Handler {\n public fnb.Response handle(fnb.Request r, fnb.Context c) { return fnb.Response.text("a" + r); }\n}\n' > /tmp/f/src/main/java/H.java
    printf 'classes=target/classes\ncompiler=javac\n' > /tmp/p/plan
    java $fast -XX:ArchiveClassesAtExit=/fnb/build.jsa -cp /fnb/build.jar fnb.build.Build \
        function /tmp/f /tmp/p /fnb/app/server.jar /tmp/out > /dev/null 2>&1 || true
    ;;

packages) # what the pom names, in /packages/lib
    mvn_ -Dmaven.ext.class.path=/fnb/build.jar -Dfnb.out=/packages validate
    ;;

function) # the function's own classes, in /out/app
    if grep -qx compiler=maven /packages/plan || [ -f src/main/java/module-info.java ]; then
        mvn_ process-classes
    fi
    java $fast -Xlog:disable -XX:SharedArchiveFile=/fnb/build.jsa -cp /fnb/build.jar fnb.build.Build \
        function . /packages /fnb/app/server.jar /out
    ;;

list) # the names of the classes that the archive has, in /list: what every function
    # loads, and what the handler's constructor does. The function's own are not
    # among them, so that the archive outlives a change of them.
    home=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
    # A handler that is not made in time gives none of these: how many there were by
    # then would depend on the machine.
    timeout 60 java -Xshare:auto -XX:+UseSerialGC -XX:DumpLoadedClassList=/tmp/loaded \
        -cp "$(path):/home/app/function.jar" fnb.Trial "$(sed 's/.* //' /home/app/function.options)" \
        || [ $? != 124 ] || rm -f /tmp/loaded
    touch /tmp/loaded
    sed 's/^/@lambda-proxy /; s/$/ /' /out/own > /tmp/own
    sed 's/ id:.*//' "$home/lib/classlist" /src/classes.txt /tmp/loaded | grep -E '^[a-zA-Z]|^@lambda' \
        | grep -vxF -f /out/own | grep -vF -f /tmp/own | grep -vx fnb/Trial | LC_ALL=C sort -u > /list
    ;;

archive) # the archive of classes, and how the function is started
    mkdir -p /out
    # What stands in a file of flags gives way to JAVA_TOOL_OPTIONS. The serial collector
    # and a small heap at first need a third of the memory of what Java takes by itself.
    printf '%s\n' +UseSerialGC InitialRAMPercentage=0.2 MaxRAMPercentage=75 +ExitOnOutOfMemoryError -UsePerfData > /out/java.flags
    flags=-XX:Flags=/home/app/java.flags
    if [ "$CLASS_ARCHIVE" = true ]; then
        # The heap is fixed, because what is in the archive depends on it.
        java -Xshare:dump -Xlog:disable -Xlog:all=error:stderr -XX:+UseG1GC -Xmx256m -XX:SharedClassListFile=/list \
            -XX:SharedArchiveFile=/out/classes.jsa -cp "$(path)" > /dev/null
        chmod 0444 /out/classes.jsa
        flags="$flags -XX:SharedArchiveFile=/home/app/classes.jsa"
    fi
    printf '%s\n' $flags -Dstdout.encoding=UTF-8 -Dstderr.encoding=UTF-8 -cp "$(path):/home/app/function.jar" > /out/java.options
    touch -d @0 /out/*
    ;;
esac
